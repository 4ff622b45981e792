"""How does what a ledger holds leave it as files, and come back?"""
