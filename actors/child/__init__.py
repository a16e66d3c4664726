"""Child: one life in its process: how it begins, serves and exits, its context. `messages` and `runners`: the rest."""
