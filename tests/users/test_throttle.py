"""Who has to wait, how long, and who never does."""

from __future__ import annotations

import threading

import pytest
from tests.users.conftest import Clock

from pylantir.errors import TooManyAttempts
from pylantir.users import failures
from pylantir.users.failures import FailureStore
from pylantir.users.store import UserStore
from pylantir.users.throttle import FORGOTTEN_AFTER_S, LONGEST_DELAY_S, Throttle, neighbourhood

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(throttle: Throttle, account: str, address: str, *, is_known: bool = False) -> None:
    throttle.begin(account, address, is_known=is_known)


def wait_of(throttle: Throttle, account: str, address: str, *, is_known: bool = False) -> float:
    try:
        throttle.begin(account, address, is_known=is_known)
    except TooManyAttempts as error:
        return error.wait_s
    return 0.0


def test_a_few_mistakes_cost_nothing() -> None:
    throttle = Throttle(Seconds())

    for _ in range(5):
        fail(throttle, "rivera", HERE)


def test_the_delay_grows_up_to_a_quarter_of_an_hour_and_no_further() -> None:
    seconds = Seconds()
    throttle = Throttle(seconds)
    delays = []
    for _ in range(30):
        delays.append(wait_of(throttle, "rivera", HERE))
        if delays[-1]:
            seconds.now += delays[-1]
            fail(throttle, "rivera", HERE)
    waited = [delay for delay in delays if delay]

    assert waited == sorted(waited)
    assert waited[:3] == [1.0, 2.0, 4.0]
    assert waited[-1] == LONGEST_DELAY_S


def test_waiting_is_enough_and_success_forgives() -> None:
    seconds = Seconds()
    throttle = Throttle(seconds)
    for _ in range(5):
        fail(throttle, "rivera", HERE)
    seconds.now += wait_of(throttle, "rivera", HERE)

    throttle.begin("rivera", HERE, is_known=False)
    throttle.succeeded("rivera", HERE, is_known=False)

    for _ in range(5):
        fail(throttle, "rivera", HERE)


def test_an_attempt_that_comes_too_early_does_not_make_the_wait_longer() -> None:
    throttle = Throttle(Seconds())
    for _ in range(6):
        wait_of(throttle, "rivera", HERE)
    first = wait_of(throttle, "rivera", HERE)

    for _ in range(50):
        wait_of(throttle, "rivera", HERE)

    assert wait_of(throttle, "rivera", HERE) == first


def test_one_address_that_tries_many_accounts_has_to_wait() -> None:
    throttle = Throttle(Seconds())
    for number in range(20):
        fail(throttle, f"account{number}", HERE)

    assert wait_of(throttle, "another", HERE) > 0
    assert wait_of(throttle, "another", THERE) == 0


def test_many_addresses_that_try_one_account_have_to_wait() -> None:
    throttle = Throttle(Seconds())
    for number in range(40):
        fail(throttle, "rivera", f"203.0.113.{number}")

    assert wait_of(throttle, "rivera", THERE) > 0


def test_nobody_is_locked_out_from_where_they_have_signed_in_before() -> None:
    seconds = Seconds()
    throttle = Throttle(seconds)
    for number in range(4000):
        seconds.now += 0.01
        wait_of(throttle, "rivera", f"203.0.{number // 250}.{number % 250}")

    throttle.begin("rivera", HERE, is_known=True)


def test_many_at_once_are_no_way_around() -> None:
    throttle = Throttle(Seconds())
    admitted: list[bool] = []
    gate = threading.Barrier(20)

    def attempt() -> None:
        gate.wait(10)
        admitted.append(wait_of(throttle, "rivera", HERE) == 0)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sum(admitted) == 5


def test_failures_of_long_ago_are_forgotten() -> None:
    seconds = Seconds()
    throttle = Throttle(seconds)
    for _ in range(5):
        fail(throttle, "rivera", HERE)
    seconds.now += 3601

    for _ in range(5):
        fail(throttle, "rivera", HERE)


def test_a_flood_of_names_takes_a_bounded_memory() -> None:
    throttle = Throttle(Seconds())
    for number in range(30_000):
        wait_of(
            throttle, f"name{number}", f"203.{number // 65536}.{number // 256 % 256}.{number % 256}"
        )

    assert len(throttle._failures) <= 20_000


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_host_is_its_network(address: str, expected: str) -> None:
    assert neighbourhood(address) == expected


def test_the_error_says_when() -> None:
    with pytest.raises(TooManyAttempts, match="try again in 30 s"):
        raise TooManyAttempts(30.2)


# --- over a restart ---


@pytest.fixture
def kept(users: UserStore, clock: Clock) -> FailureStore:
    return FailureStore(users.database, clock)


def started(kept: FailureStore, clock: Clock, key: bytes = b"k" * 32) -> Throttle:
    return Throttle(clock.monotonic, kept, key)


def test_a_restart_is_no_way_around(kept: FailureStore, clock: Clock) -> None:
    throttle = started(kept, clock)
    for _ in range(5):
        fail(throttle, "rivera", HERE)
    clock.move(1)
    fail(throttle, "rivera", HERE)

    again = started(kept, clock)

    assert wait_of(again, "rivera", HERE) == wait_of(throttle, "rivera", HERE) == 2.0
    assert wait_of(again, "rivera", THERE) == 0.0
    clock.move(2)
    assert wait_of(started(kept, clock), "rivera", HERE) == 0.0


def test_success_is_remembered_over_a_restart(kept: FailureStore, clock: Clock) -> None:
    throttle = started(kept, clock)
    for _ in range(4):
        fail(throttle, "rivera", HERE)
    throttle.begin("rivera", HERE, is_known=False)
    throttle.succeeded("rivera", HERE, is_known=False)

    again = started(kept, clock)

    for _ in range(5):
        fail(again, "rivera", HERE)


def test_failures_of_long_ago_are_not_kept(
    kept: FailureStore, users: UserStore, clock: Clock
) -> None:
    for _ in range(5):
        fail(started(kept, clock), "rivera", HERE)
    clock.move(FORGOTTEN_AFTER_S + 1)
    again = started(kept, clock)

    with users.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM failed_attempts").scalar() == 0
    assert wait_of(again, "rivera", HERE) == 0.0


def test_a_clock_that_was_set_back_locks_nobody_out(kept: FailureStore, clock: Clock) -> None:
    for _ in range(30):
        clock.move(LONGEST_DELAY_S)
        fail(started(kept, clock), "rivera", HERE)
    clock.move(-86_400)

    assert 0 < wait_of(started(kept, clock), "rivera", HERE) <= LONGEST_DELAY_S


def test_what_was_typed_as_a_name_is_not_kept(
    kept: FailureStore, users: UserStore, clock: Clock
) -> None:
    """It may be the password, typed into the wrong field."""
    fail(started(kept, clock), "correct horse battery", HERE)

    with users.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM failed_attempts").all()
    assert len(rows) == 3
    assert "horse" not in repr(rows)
    assert HERE not in repr(rows)


def test_accounts_that_cannot_be_written_still_make_others_wait(
    kept: FailureStore, users: UserStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    throttle = started(kept, clock)
    with users.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE failed_attempts")
    for _ in range(5):
        fail(throttle, "rivera", HERE)

    assert wait_of(throttle, "rivera", HERE) == 1.0
    assert "cannot be kept" in caplog.text


def test_a_flood_of_names_leaves_no_more_behind_than_the_last_hour_of_it(
    kept: FailureStore, users: UserStore, clock: Clock
) -> None:
    throttle = started(kept, clock)
    throttle.begin("long ago", HERE, is_known=True)
    clock.move(FORGOTTEN_AFTER_S + 1)
    for number in range(failures._TIDY_EVERY):
        throttle.succeeded(f"nobody{number}", THERE, is_known=True)

    with users.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM failed_attempts").scalar() == 0
