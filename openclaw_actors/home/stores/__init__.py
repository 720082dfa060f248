"""Profile stores: readers of each kind, what an agent sees of two stores, and the usage writer.

`open.read_store` is the way in: it finds which kind a dir has (`sqlite`, `json_files`, `legacy`) and answers with
`StoreFacts`.
"""
