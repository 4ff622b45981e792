"""A Django project with a ledger below `/tracking`, served until its standard input ends:

    python django_host.py DATABASE_URL TOKEN

Its first line is its address. Started in a process of its own, as the settings of Django are one per process.
"""

import sys

import django
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from support.hosted import by_path
from trackledger.adapters import Settings, open_runtime
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.settings import Token


def shop(request: HttpRequest) -> HttpResponse:
    """A view of the project's own."""
    return JsonResponse({"shop": request.path})


urlpatterns = [path("", shop), path("api/shipments", shop)]


def main(database: str, token: str) -> None:
    """Serve the project."""
    django_settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="the shop's", USE_TZ=True, LOGGING_CONFIG=None
    )
    django.setup()
    settings = Settings(database, tokens=(Token("shop", "default", "operate", token),))
    with open_runtime(settings) as runtime, serving(by_path(create_app(runtime), get_asgi_application())) as address:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
