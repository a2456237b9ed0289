"""When a caller that does not take its answer is given up."""

from edgefn.gateway.connection import Connection

TIMEOUT_S = 10.0


class FullWire:
    """A transport that always holds as much, as that of TLS does on a slow link."""

    is_aborted = False

    def get_write_buffer_size(self):
        return 65536

    def is_closing(self):
        return self.is_aborted

    def abort(self):
        self.is_aborted = True


def test_who_takes_an_answer_piece_by_piece_is_not_stuck_and_who_takes_nothing_is():
    """Also when each piece takes nearly as long as one may be stuck."""
    connection = object.__new__(Connection)  # without a server, and a loop
    wire = connection._wire = FullWire()
    connection._unwritten_bytes, connection._stuck_since_s, connection._head_since_s = 0, 0.0, 0.0
    now_s = 100.0
    for _ in range(5):
        for _ in range(9):
            now_s += 1.0
            connection.check(now_s, TIMEOUT_S, TIMEOUT_S)
        connection.took()
    assert not wire.is_aborted
    for _ in range(12):
        now_s += 1.0
        connection.check(now_s, TIMEOUT_S, TIMEOUT_S)
    assert wire.is_aborted
