"""Ready-made `/models` for chat bots, one module per library, each an extra of its own.

`discord_cog` (discord.py), `telegram_handlers` (python-telegram-bot) and `aiogram_router` (aiogram) connect the pages
of `openclaw_actors.pickers` to their library; `desk` is what they share. Each needs its library when it is imported,
and no other.
"""
