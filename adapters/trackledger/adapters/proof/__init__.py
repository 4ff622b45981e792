"""How is it proven that nothing in the ledger was changed?"""
