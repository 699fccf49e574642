"""``admin-password``, ``create-user`` and ``list-users``: accounts, on the machine itself.

Whoever may write the accounts' file is trusted with it, so that nobody signs in here; passwords
are asked for and never echoed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pylantir.cli import table
from pylantir.cli.audited import configured, trail_for
from pylantir.cli.extras import api_extra
from pylantir.cli.opening import load, log_to_stderr
from pylantir.errors import InvalidAccount, NotFound, SignInFailed, ValueProblem

if TYPE_CHECKING:
    from pylantir.audit.trail import AuditTrail
    from pylantir.users.store import UserStore

_ROLES = ("admin", "write", "read")
_FIRST_ADMIN = "admin"


def configure_password(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``admin-password``."""
    parser.add_argument("--username", default=_FIRST_ADMIN, help="whose password (default: admin)")
    parser.add_argument(
        "--reset", action="store_true", help="do not ask for the current one: it is lost"
    )
    parser.add_argument("--password", metavar="NEW", help=argparse.SUPPRESS)


def run_password(args: argparse.Namespace) -> int:
    """Ask for the current and the new password of an account, and change it."""
    with _accounts(args) as (users, trail):
        user = users.named(args.username)
        if user is None:
            known = ", ".join(user.username for user in users.all()) or "there is none yet"
            raise NotFound(f"no account {args.username!r} ({known})")
        if not args.reset:
            _require_current(user.password_hash)
        users.change(user.user_id, {"is_active": True}, password=_new_password(args))
        how = "reset" if args.reset else "changed"
        configured(trail, f"account {user.username}", f"password {how} on the machine")
    print(f"password of {user.username} changed; its tokens have ended")
    return 0


def _require_current(stored: str) -> None:
    from pylantir.users.passwords import matches

    if not matches(_secret("Current password: "), stored):
        raise SignInFailed("that is not the current password; with --reset it is not asked for")


def configure_create(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``create-user``."""
    parser.add_argument("--username", help="what the person or program signs in with")
    parser.add_argument("--role", choices=_ROLES, help="admin: everything; write; read")
    parser.add_argument("--email", help="address of the person")
    parser.add_argument("--full-name", "--full_name", dest="full_name", help="name of the person")
    parser.add_argument("--password", metavar="NEW", help=argparse.SUPPRESS)


def run_create(args: argparse.Namespace) -> int:
    """Make an account; what is not given is asked for."""
    with _accounts(args) as (users, trail):
        values: dict[str, Any] = {
            "username": args.username or _answer("Username: "),
            "role": args.role or _answer("Role (admin, write or read) [read]: ") or "read",
            "email": args.email,
            "full_name": args.full_name,
        }
        user = users.create(values, _new_password(args))
        configured(trail, f"account {user.username}", f"made on the machine, role {user.role}")
    print(f"account {user.user_id}: {user.username}, role {user.role}")
    return 0


def configure_list(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``list-users``."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    for published in ("--username", "--password"):
        parser.add_argument(published, help=argparse.SUPPRESS)


def run_list(args: argparse.Namespace) -> int:
    """Print the accounts, never their passwords."""
    with _accounts(args) as (users, _):
        records = [
            {
                "id": user.user_id,
                "username": user.username,
                "role": user.role.value,
                "active": user.is_active,
                "email": user.email or "",
                "full_name": user.full_name or "",
                "last_login": user.last_login.isoformat("T", "seconds") if user.last_login else "",
                "must_change_password": user.must_change_password,
            }
            for user in users.all()
        ]
    if args.json:
        table.write_json(records)
    elif records:
        headers = [name.upper().replace("_", " ") for name in records[0]]
        table.write_table(headers, [[_shown(v) for v in record.values()] for record in records])
    print(f"{len(records)} accounts", file=sys.stderr)
    return 0


def _shown(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


@contextlib.contextmanager
def _accounts(args: argparse.Namespace) -> Iterator[tuple[UserStore, AuditTrail]]:
    """The accounts, and where it is kept who changed them."""
    with api_extra(args.command):
        from pylantir.users.store import open_users
    config = load(args).config
    log_to_stderr(args)
    with contextlib.closing(open_users(config)) as users:
        yield users, trail_for(config)


def _new_password(args: argparse.Namespace) -> str:
    if args.password is not None:
        note = "a password on the command line stays in the shell's history; leave out --password"
        print(f"WARNING: {note}", file=sys.stderr)
        return str(args.password)
    password = _secret("New password (at least 12 characters): ")
    if sys.stdin.isatty() and _secret("The same again: ") != password:
        raise InvalidAccount([ValueProblem("password", "", "the two are not the same")])
    return password


def _secret(prompt: str) -> str:
    """What somebody types unseen; a line of standard input when that is no terminal."""
    if not sys.stdin.isatty():
        return _line()
    from getpass import getpass

    return getpass(prompt, stream=sys.stderr)


def _answer(prompt: str) -> str:
    if sys.stdin.isatty():
        print(prompt, end="", file=sys.stderr, flush=True)
    return _line().strip()


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
