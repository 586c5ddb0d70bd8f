"""Reads Office documents and e-books: containers of XML, without running anything that they contain.

Only the text is read: macros, formulas, links and embedded files are never followed or evaluated.
"""
