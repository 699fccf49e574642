"""``init``, ``check-config``, ``config-schema`` and ``completion``: setting things up."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pylantir.cli.opening import load
from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.config.schema import Config
    from pylantir.config.security import AccessRule, TlsSettings

_RIGHTS = ("worklist", "mpps")
_SHELLS = ("bash", "zsh", "fish", "powershell", "tcsh")


def configure_init(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``init``."""
    parser.add_argument("folder", nargs="?", default=".", help="where to write (default: here)")


def run_init(args: argparse.Namespace) -> int:
    """Write a commented configuration and an example of the secrets it needs."""
    from pylantir.config.example import write_example

    folder = Path(args.folder)
    written = write_example(folder)
    for path in written:
        print(f"wrote {path}")
    # The file is found by itself in the working folder only.
    option = "" if folder.resolve() == Path.cwd() else f" --config {written[0]}"
    print(f"edit it, then: pylantir check-config{option}", file=sys.stderr)
    print(f"and then:      pylantir start{option}", file=sys.stderr)
    return 0


def configure_check(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``check-config``."""
    parser.add_argument("file", nargs="?", help="configuration file (also --config FILE)")
    parser.add_argument(
        "--online", action="store_true", help="ask each source and show what comes of one booking"
    )


def run_check(args: argparse.Namespace) -> int:
    """Say everything that is wrong with the configuration, or what it comes to."""
    args.config = args.file or args.config
    loaded = load(args)
    config = loaded.config
    who = ", ".join(who_may_connect(config)) or "every AE title (allowed_aet is empty)"
    print(f"configuration {loaded.path or 'without a file: environment and flags only'}")
    print(f"    AE title   {config.ae_title} on {config.ip} {_ports(config)}")
    print(f"    database   {config.db_path}")
    print(f"    scanners   {who}")
    for source in config.data_sources:
        state = "" if source.enabled else " (disabled)"
        print(
            f"    source     {source.name}: {source.type}, every {source.sync_interval:g} s{state}"
        )
    if config.tls is not None:
        _try_certificate(config.tls)
    from pylantir.cli.online import explain_sources, try_sources

    usable = explain_sources(loaded)
    answered = try_sources(loaded, usable) if args.online else True
    if len(usable) < sum(source.enabled for source in config.data_sources):
        return 2
    if not answered:
        return 1
    print("OK")
    return 0


def _try_certificate(tls: TlsSettings) -> None:
    """Load what TLS needs, and say how long it is good."""
    from pylantir.tls import expiry, server_context

    server_context(tls.certificate, tls.key, ca=tls.ca, mutual=tls.mutual)
    print(f"    TLS        certificate good until {expiry(tls.certificate):%Y-%m-%d}")


def _ports(config: Config) -> str:
    tls = config.tls
    if tls is None:
        return f"port {config.port}"
    words = f"TLS port {tls.port}{', mutual' if tls.mutual else ''}"
    return f"port {config.port}, {words}" if tls.plain else words


def who_may_connect(config: Config) -> list[str]:
    """Each AE title or rule in words; empty when everybody may."""
    return [*config.allowed_aet, *map(_rule_words, config.access)]


def _rule_words(rule: AccessRule) -> str:
    words = [rule.ae_title or "any AE title"]
    words += [f"at {rule.address}"] if rule.address else []
    words += [f"calling {rule.called_ae_title}"] if rule.called_ae_title else []
    rights = " and ".join(rule.rights) or "C-ECHO only"
    return " ".join(words) + ("" if len(rule.rights) == len(_RIGHTS) else f" ({rights})")


def configure_schema(parser: argparse.ArgumentParser) -> None:
    """``config-schema`` has no arguments of its own."""


def run_schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from pylantir.config.load import json_schema

    json.dump(json_schema(), sys.stdout, indent=2)
    print()
    return 0


def configure_completion(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``completion``."""
    parser.add_argument("shell", choices=_SHELLS, help="your shell")


def run_completion(args: argparse.Namespace) -> int:
    """Print the completion script for a shell."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError as error:
        problem = ConfigProblem(
            "completion", "", "needs argcomplete", 'pip install "pylantir[completion]"'
        )
        raise ConfigurationError([problem]) from error
    print(shellcode(["pylantir"], shell=args.shell))
    return 0
