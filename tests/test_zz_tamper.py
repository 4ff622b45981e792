"""tamper SQLite+PG in ways tests do not."""
import sys, json, os
from pathlib import Path
import pytest
from support.cli import Cli
from support.sealed import *
from trackledger.adapters.runtime import Runtime
pytestmark=[]
CONFIGURED = f'[proof]\nverifier_keys = ["{KEY.verifier}"]\n'
@pytest.fixture
def sealed(runtime, cli):
    fill(runtime)
    Path("kept").write_text(sealer(runtime).seal().note)
    Path("trackledger.toml").write_text(CONFIGURED)
    return cli
E_="UPDATE {s}stored_events SET "
def swap_ids(db):
    rows=db.tuples("SELECT notification_id, originator_id FROM {s}stored_events WHERE originator_version=3 ORDER BY notification_id LIMIT 2")
    (a,ia),(b,ib)=rows
    sql(E_+"originator_id='tmp' WHERE notification_id=:a",E_+"originator_id=:ia WHERE notification_id=:b",E_+"originator_id=:ib WHERE notification_id=:a",a=a,b=b,ia=ia,ib=ib)(db)
CASES={
 "swap ids": swap_ids,
 "ws in state": flip(17,"state",lambda s: bytes(s).replace(b":",b": ",1)),
 "state as text": sql(E_+"state=CAST(state AS TEXT) WHERE notification_id=17"),
 "id as blob": sql(E_+"originator_id=CAST(originator_id AS BLOB) WHERE notification_id=17"),
 "topic as blob": sql(E_+"topic=CAST(topic AS BLOB) WHERE notification_id=17"),
 "version as blob": sql(E_+"originator_version=CAST(originator_version AS BLOB) WHERE notification_id=17"),
 "pos text": sql("UPDATE {s}positions SET position='x' WHERE name='tree'"),
 "pos huge": sql("UPDATE {s}positions SET position=100000000 WHERE name='tree'"),
 "pos neg": sql("UPDATE {s}positions SET position=-5 WHERE name='tree'"),
 "pos gone": sql("DELETE FROM {s}positions WHERE name='tree'"),
 "pos low": sql("UPDATE {s}positions SET position=100 WHERE name='tree'"),
 "pos blob": sql("UPDATE {s}positions SET position=x'00' WHERE name='tree'"),
 "head size text": sql("UPDATE {s}tree_heads SET size='abc'"),
 "head size neg": sql("UPDATE {s}tree_heads SET size=-3"),
 "head size huge": sql("UPDATE {s}tree_heads SET size=4611686018427387905"),
 "head time bad": sql("UPDATE {s}tree_heads SET sealed_at='soon'"),
 "head time blob": sql("UPDATE {s}tree_heads SET sealed_at=x'ff00'"),
 "head root text": sql("UPDATE {s}tree_heads SET root='abc'"),
 "head note blob": sql("UPDATE {s}tree_heads SET note=CAST(note AS BLOB)"),
 "head note badutf8": sql("UPDATE {s}tree_heads SET note=CAST(x'ff41' AS TEXT)"),
 "head gone": sql("DELETE FROM {s}tree_heads"),
 "seq changed": sql("UPDATE sqlite_sequence SET seq=999 WHERE name='stored_events'"),
 "seq gone": sql("DELETE FROM sqlite_sequence WHERE name='stored_events'"),
 "seq text": sql("UPDATE sqlite_sequence SET seq='abc' WHERE name='stored_events'"),
 "tile level text": sql("UPDATE {s}tree_tiles SET level='x' WHERE level=1"),
 "tile dup shifted": sql("INSERT INTO {s}tree_tiles (level, number, hashes) SELECT level+5, number, hashes FROM {s}tree_tiles"),
 "tile long": sql("UPDATE {s}tree_tiles SET hashes=hashes||x'00' WHERE level=1"),
 "position 0": sql(E_+"notification_id=0 WHERE notification_id=320"),
 "pos far": sql(E_+"notification_id=999999999999 WHERE notification_id=320"),
 "pos max": sql(E_+"notification_id=9223372036854775807 WHERE notification_id=320"),
 "id utf8 bad": sql(E_+"originator_id=CAST(x'ff4142' AS TEXT) WHERE notification_id=17"),
}
@pytest.mark.parametrize("case", CASES)
def test_case(sealed, runtime, case):
    out=[]
    try: CASES[case](runtime.database)
    except Exception as e:
        print(f"\n### {case}: cannot {type(e).__name__} {str(e)[:100]}"); return
    for args in (("verify","--no-tables"),("verify",),("verify","--head","kept","--no-tables")):
        try:
            r=sealed(*args)
            out.append(f"{' '.join(args)} -> {r.exit_code} | {r.output.strip()[:600]}")
        except BaseException as e:
            out.append(f"{' '.join(args)} -> TRACE {type(e).__name__} {str(e)[:200]}")
    try:
        h=sealer(runtime).seal(); out.append(f"seal ok {h.size}")
    except Exception as e: out.append(f"seal {type(e).__name__} {str(e)[:200]}")
    try:
        h=sealer(runtime).rehash(); out.append(f"rehash ok")
        h=sealer(runtime).seal(); out.append(f"seal ok {h.size}")
        out.append(sealed("verify").output[:400])
    except Exception as e: out.append(f"rehash {type(e).__name__} {str(e)[:200]}")
    print(f"\n### {case}\n"+"\n".join(out))
