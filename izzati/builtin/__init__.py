"""The default plugins. Each imports only izzati's public names, as anybody's plugin would."""
