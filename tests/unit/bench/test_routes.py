"""The figures and the table of a class's routes."""

from __future__ import annotations

from bench.routes import MOST, figures_of, rows

CHP = {"all_s": 0.37, "route_s": [0.01, 0.02, 0.05], "busy_s": 0.17, "compare_s": 0.01}
OURS = {
    "all_s": 11.15,
    "route_s": [0.4, 0.65, 1.77],
    "busy_s": 3.69,
    "compare_s": 0.07,
    "again_s": 0.32,
    "again_busy_s": 0.18,
}


def test_every_limit_is_of_a_figure() -> None:
    figures = figures_of(OURS, CHP)
    assert set(MOST) <= set(figures)
    assert (figures["route_s"], figures["slowest_route_s"], figures["slowest_route_s_chp"]) == (0.65, 1.77, 0.05)


def test_the_table_is_even_and_leaves_out_what_the_peer_has_not() -> None:
    head, *body = rows(OURS, CHP)
    assert all(len(row) == len(head) for row in body)
    assert body[1] == ["of each, median", "0.65 s, slowest 1.77 s", "0.02 s, slowest 0.05 s", "slowest 5 s"]
    assert body[-1] == ["the proxy's processor for that", "0.2 s", "", ""]
