"""The type of a setting that is the URL of an HTTP server."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

# A host or an [IPv6 address], perhaps after credentials, and a port; no blank anywhere.
_HTTP_HOST: Final = re.compile(
    r"https?://(?:[^\s/?#@]*@)?(?:[^\s/?#@:\[\]]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?(?:[/?#]\S*)?\Z"
)


def _http_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must start with one of http://, https://")
    if not _HTTP_HOST.match(url):
        raise ValueError("must have a host, such as https://host.example/v1, and no blanks")
    return url


HttpUrl = Annotated[str, AfterValidator(_http_url)]
