"""Web search for models whose provider has none, by a backend that the operator chose, and the pages that it finds.

`source` is the only module that a cold start imports: the others are imported when a model searches.
"""
