import pytest
from tests.browser.person import *
pytestmark = pytest.mark.browser
def test_x(someone):
    p=someone(1280); p.start(); p.consent()
    p.read(NOTHING_AT_ALL); p.go_on(); p.expect_post(2)
    p.mark(FIRST_QUESTION, OTHERS); p.mark(OTHERS, "Conformity and tradition")
    p.level("Societal security",4).check(); p.level("Tradition",2).check(); p.level("Lawfulness",7).check()
    p.page.evaluate("document.activeElement.blur()"); p.page.mouse.move(0,0)
    p.page.evaluate("window.scrollBy(0, document.querySelectorAll('.branch')[1].getBoundingClientRect().top - 12)")
    p.page.wait_for_timeout(200)
    p.page.screenshot(path="docs/images/participant.png")
