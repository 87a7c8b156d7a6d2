"""Work on fewer threads: for the caller alone, and only for a while."""

import threading

import pytest
import torch

from ntk_core.threads import at_most


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_fewer_threads_for_a_while():
    with at_most(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_never_more_than_there_were():
    with at_most(8):
        assert torch.get_num_threads() == 2


def test_an_error_brings_them_back():
    with pytest.raises(ZeroDivisionError), at_most(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_other_threads_keep_theirs():
    ready, looked, found = threading.Event(), threading.Event(), []

    def other():
        torch.get_num_threads()  # or the first operation would take the default of that moment
        torch.set_num_threads(2)
        ready.set()
        looked.wait(5)
        found.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    assert ready.wait(5)
    with at_most(1):
        looked.set()
        thread.join(5)
    assert found == [2]
