"""XML of replies: without document types and entities in any encoding, and of bounded depth."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from orchestrator.domain.bounded import MAX_DEPTH

__all__ = ["Element", "parse_xml"]


class _BoundedBuilder(TreeBuilder):
    """A tree builder that refuses deep nesting while it reads."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        """Open an element. Raise ValueError when it is too deep."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"nests deeper than {MAX_DEPTH} levels"
            raise ValueError(message)
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Any:
        """Close an element."""
        self._depth -= 1
        return super().end(tag)


def parse_xml(content: bytes) -> Element:
    """Return the root element. Raise ValueError, whose message completes `the reply ...`."""
    parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except DefusedXmlException:
        message = "declares a document type or entities"
        raise ValueError(message) from None
    except (ParseError, LookupError):
        message = "is not XML"
        raise ValueError(message) from None
    return root
