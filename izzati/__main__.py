"""``python -m izzati`` is the command ``izzati``."""

import sys

from izzati.cli import main

sys.exit(main())
