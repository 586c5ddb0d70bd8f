"""Where the program, its settings files and its data are.

In a checkout all of them are in its folder, also when the checkout is installed in editable mode. Installed from a
wheel, settings and data are where the platform expects those of a user: on Linux in ~/.config/chatqueue and
~/.local/share/chatqueue.
"""

from pathlib import Path
from typing import Final

from platformdirs import PlatformDirs

PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent  # of a checkout, or the site-packages of an installation
IS_CHECKOUT: Final = (PROJECT_ROOT / "pyproject.toml").is_file()
_DIRS: Final = PlatformDirs("chatqueue", appauthor=False)

DATA_FOLDER: Final = PROJECT_ROOT / "data" if IS_CHECKOUT else _DIRS.user_data_path
SECRETS_FILE: Final = PROJECT_ROOT / ".env.local" if IS_CHECKOUT else _DIRS.user_config_path / "settings.env"
SECRETS_FILE_NAME: Final = SECRETS_FILE.name if IS_CHECKOUT else str(SECRETS_FILE)  # as messages show it
SETTINGS_FILES: Final = (PROJECT_ROOT / ".env", SECRETS_FILE) if IS_CHECKOUT else (SECRETS_FILE,)  # the later one wins
