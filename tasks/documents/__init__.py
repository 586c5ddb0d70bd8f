"""The work on documents: ingest, removal, and answers from documents."""
