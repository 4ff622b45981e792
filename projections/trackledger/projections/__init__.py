"""The projections: the questions people ask, each a table, what fills it and the queries that answer from it."""
