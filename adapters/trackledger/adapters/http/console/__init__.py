"""What do people see of a ledger in a browser, and what can they do there?"""
