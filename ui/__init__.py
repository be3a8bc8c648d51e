"""The web page: one module a tab, each a request dataclass and a plain function. No model code."""
