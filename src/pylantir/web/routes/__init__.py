"""The pages, one module per noun."""

from __future__ import annotations
