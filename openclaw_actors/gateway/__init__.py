"""The HTTP gateway: what the prepared map says, served. `app.create_app` makes it; `openclaw-actors serve` runs it."""
