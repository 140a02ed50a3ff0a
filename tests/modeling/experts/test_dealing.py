import pytest

from modeling.experts.dealing import deal

KEYS = [f"post-{n}" for n in range(50)]


class TestDealing:
    def test_every_post_is_in_one_split_and_as_many_are_for_the_test_as_asked(self):
        dealt = deal(KEYS, seed=1, test_share=0.3)
        assert sorted(dealt.keys) == sorted(KEYS)
        assert len(dealt.test) == 15
        assert dealt.test < set(dealt.keys)

    def test_the_order_in_which_posts_come_does_not_matter(self):
        assert deal(KEYS, seed=4, test_share=0.5, number=20) == deal(
            KEYS[::-1], seed=4, test_share=0.5, number=20
        )

    def test_another_seed_deals_otherwise(self):
        assert deal(KEYS, seed=1, test_share=0.5).test != deal(KEYS, seed=2, test_share=0.5).test

    def test_a_post_left_out_does_not_move_the_others(self):
        before = deal(KEYS, seed=1, test_share=0.5).keys
        assert deal(KEYS[1:], seed=1, test_share=0.5).keys == tuple(key for key in before if key != KEYS[0])

    @pytest.mark.parametrize(
        ("share", "n_test"), [(0, 0), (1, 50), (0.01, 1), (0.999, 49), (0.05, 3), (0.04, 2)]
    )
    def test_both_splits_get_a_post_unless_the_share_says_otherwise(self, share, n_test):
        assert len(deal(KEYS, seed=1, test_share=share).test) == n_test

    def test_posts_that_are_alike_are_dealt_into_one_split(self):
        kinds = {key: f"text {number // 2}" for number, key in enumerate(KEYS)}
        for seed in range(20):
            test = deal(kinds, seed=seed, test_share=0.4, kinds=kinds).test
            assert len({kinds[key] for key in test} & {kinds[key] for key in set(KEYS) - test}) == 0
            assert len(test) == 20
        odd = dict.fromkeys(KEYS, "the same")
        assert len(deal(KEYS, seed=1, test_share=0.5, kinds=odd).test) == 0

    def test_where_no_two_are_alike_it_deals_as_without_kinds(self):
        kinds = {key: key for key in KEYS}
        assert deal(KEYS, seed=2, test_share=0.3, kinds=kinds) == deal(KEYS, seed=2, test_share=0.3)

    def test_where_a_post_stands_tells_nothing_of_its_split(self):
        dealt = deal([str(n) for n in range(1000)], seed=3, test_share=0.5)
        in_front = sum(key in dealt.test for key in dealt.keys[:500])
        assert 200 < in_front < 300

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"keys": ["a", "a"]}, "one stands there twice"),
            ({"test_share": 1.1}, "from 0 to 1"),
            ({"number": 0}, "at least 1 post"),
        ],
    )
    def test_what_cannot_be_dealt_is_refused(self, arguments, says):
        with pytest.raises(ValueError, match=says):
            deal(**{"keys": KEYS, "seed": 1, "test_share": 0.5} | arguments)
