import pytest

from modeling.standin.script import CHAT_PATH, Fault, Player, Rule, Script, read_rule


def judge(player: Player, body: str = "", **fields) -> Fault | None:
    return player.judge(CHAT_PATH, body.encode(), **fields).fault


def test_a_share_of_the_requests_gets_a_fault_the_same_each_time():
    script = Script(rules=(Rule(Fault.HTML_200, share=0.2),), seed=3)
    first, second = Player(script), Player(script)
    found = [judge(first, str(number)) for number in range(500)]
    assert found == [judge(second, str(number)) for number in range(500)]
    assert 60 < found.count(Fault.HTML_200) < 140


def test_a_request_that_is_sent_again_is_drawn_again():
    player = Player(Script(rules=(Rule(Fault.RESET, share=0.5),)))
    assert {judge(player, "same") for _ in range(40)} == {None, Fault.RESET}


def test_the_first_rule_that_fits_decides():
    player = Player(
        Script(
            rules=(
                Rule(Fault.QUOTA, first=2, last=3),
                Rule(Fault.HANG, model="slow"),
                Rule(Fault.SERVER_ERROR, path="/v1/batches"),
            )
        )
    )
    assert [judge(player) for _ in range(4)] == [None, Fault.QUOTA, Fault.QUOTA, None]
    assert judge(player, model="slow") is Fault.HANG
    assert player.judge("/v1/batches", b"").fault is Fault.SERVER_ERROR


def test_rules_can_hold_for_a_time():
    player = Player(Script(rules=(Rule(Fault.RESET, to_second=0),)))
    assert judge(player) is None
    assert judge(Player(Script(rules=(Rule(Fault.RESET, from_second=0, to_second=60),)))) is Fault.RESET


def test_above_the_limit_a_request_is_told_how_long_to_wait():
    player = Player(Script(requests_per_minute=60, burst=3))
    verdicts = [player.judge(CHAT_PATH, b"") for _ in range(4)]
    assert [verdict.fault for verdict in verdicts] == [None, None, None, Fault.RATE_LIMITED]
    assert 0 < verdicts[3].retry_after <= 1


def test_a_script_survives_being_stored():
    script = Script(rules=(Rule(Fault.CUT_OFF, share=0.1, model="m"), read_rule("nan")), gullible=True)
    assert Script.from_dict(script.to_dict()) == script


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"speed": 1}, "no speed"),
        ({"rules": [{"fault": "reset", "often": 1}]}, "no often"),
        ({"rules": [{"fault": "boredom"}]}, "no fault 'boredom'"),
        ({"batch_ends": "well"}, "batch_ends"),
        ({"tuning_ends": "well"}, "tuning_ends"),
    ],
    ids=["field", "rule", "fault", "batch", "tuning"],
)
def test_a_script_with_unknown_words_is_refused(stored, told):
    with pytest.raises(ValueError, match=told):
        Script.from_dict(stored)


def test_command_line_rules_name_a_fault_and_a_share():
    assert read_rule("html_200:0.02") == Rule(Fault.HTML_200, share=0.02)
    for text in ("html_200:2", "html_200:often", "boredom"):
        with pytest.raises(ValueError, match=text.split(":")[0]):
            read_rule(text)


def test_a_marker_with_an_unknown_fault_is_told():
    with pytest.raises(ValueError, match="no fault 'boredom'"):
        judge(Player(Script()), text="[[fault:boredom]]")
