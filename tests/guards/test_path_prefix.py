"""Which path prefixes are well-formed, and which peers may name one."""

import pytest

from guards.path_prefix import Forwarders, forwarded_prefix, read_prefix, strip_prefix


@pytest.mark.parametrize(
    ("text", "prefix"), [("/llm", "/llm"), ("/llm/", "/llm"), ("/a/b-c.d_e~f", "/a/b-c.d_e~f"), ("/", ""), ("", "")]
)
def test_a_prefix_has_no_slash_at_its_end(text, prefix):
    """It is put in front of paths, which begin with one."""
    assert read_prefix(text) == prefix


@pytest.mark.parametrize(
    "text",
    [
        "llm",
        "//evil.example",
        "/a//b",
        "/..",
        "/a/../b",
        "/a/.",
        "/a b",
        "/a\r\nX: y",
        "/a?b",
        "/a#b",
        "/ä",
        "/\\evil.example",
        "https://evil.example",
        "/" + "x" * 200,
        "/a" * 30,
    ],
)
def test_anything_else_is_no_prefix(text):
    """A redirect with it could lead to another host, and a header with it could be split."""
    with pytest.raises(ValueError, match="such as /llm"):
        read_prefix(text)
    assert forwarded_prefix(text) is None


def test_the_nearest_proxy_counts():
    """It appends its value to what a client has sent."""
    assert forwarded_prefix("/of-the-client, /llm") == "/llm"


@pytest.mark.parametrize(
    ("path", "below"), [("/llm", "/"), ("/llm/", "/"), ("/llm/a", "/a"), ("/llma", "/llma"), ("/a/llm", "/a/llm")]
)
def test_only_whole_segments_are_removed(path, below):
    """A proxy may have removed the prefix already."""
    assert strip_prefix(path, "/llm") == below


@pytest.mark.parametrize(
    ("allowed", "peer", "is_one"),
    [
        (None, "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("10.0.0.0/8, ::1", "10.2.3.4", True),
        ("10.0.0.0/8, ::1", "::1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "", False),
        ("*", "", True),
        ("*", "8.8.8.8", True),
    ],
)
def test_only_listed_peers_are_forwarders(allowed, peer, is_one):
    """Anybody can send the header."""
    assert Forwarders.read(allowed).include(peer) is is_one


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/33", "10.0.0.1/8"])
def test_a_malformed_list_of_forwarders_is_refused(text):
    """A name would have to be resolved, and a network with host bits is a slip."""
    with pytest.raises(ValueError, match="addresses or networks"):
        Forwarders.read(text)
