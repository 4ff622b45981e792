"""What would six providers tell of one world of parcels, and what would be true?"""
