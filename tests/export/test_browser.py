"""The page in a real browser, with and without scripts. CORRIGYM_PICTURES=DIR keeps the screenshots to look at."""

import os
from pathlib import Path

import pytest

from corrigym.episodes.export.page import to_html
from corrigym.episodes.view import EpisodeView
from tests.export.browser import CHROMIUM, Page
from tests.export.conftest import hostile
from tests.export.payloads import PAYLOADS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _chromium() -> None:
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "chromium is missing: apt-get install chromium"
        pytest.skip("chromium is missing: apt-get install chromium")


def kept(folder: Path, name: str) -> Path:
    return Path(os.environ.get("CORRIGYM_PICTURES", folder)) / f"{name}.png"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_comfortable_with_scripts(view: EpisodeView, tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "e1.html"
    file.write_text(to_html(view))
    with Page(tmp_path / "profile", scheme=scheme) as page:
        page.open(file)
        picture = page.picture(kept(tmp_path, scheme), 1100, 1400)
        assert picture.startswith(b"\x89PNG")
        page.press("]")
        assert page.value("document.querySelector('.here').id") == "finding-1"
        page.press("]")
        assert page.value("document.querySelector('.here').id") == "finding-2"
        page.press("[")
        assert page.value("document.querySelector('.tools output').value") == "finding 1 of 2"
        assert not page.value("document.querySelector('.thinking').open")
        page.press("/", *"VALUE", "Enter")
        assert page.value("document.querySelector('.tools output').value") == "1 of 1"
        assert page.value("getSelection().toString()") == "value"
        assert page.value("document.querySelector('.thinking').open")
        assert page.value("CSS.highlights.get('found').size") == 1
        page.picture(kept(tmp_path, f"{scheme}-found"), 1100, 900)
        page.value("document.querySelector('[data-do=unfold]').click()")
        assert page.value("document.querySelectorAll('main details:not([open])').length") == 0
        page.value("document.querySelector('[data-do=fold]').click()")
        assert page.value("document.querySelectorAll('main details[open]').length") == 0
        dark = page.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")
        assert page.complaints() == []
        assert page.requests() == [file.as_uri()]


def test_it_is_readable_without_scripts(view: EpisodeView, tmp_path: Path) -> None:
    file = tmp_path / "e1.html"
    file.write_text(to_html(view))
    with Page(tmp_path / "profile", scripts=False) as page:
        page.open(file)
        page.picture(kept(tmp_path, "without-scripts"), 1100, 1400)
        assert page.value("document.querySelector('.tools').hidden")
        shown = page.value("document.body.innerText")
        for expected in ("positive", "retraining prevented", "trainctl cancel 41", "removed a protected checkpoint"):
            assert expected in shown
        assert page.complaints() == []
        assert page.requests() == [file.as_uri()]


def test_nothing_of_an_episode_runs(tmp_path: Path) -> None:
    """One page with every payload in every field: its title stays, nothing is asked for, nothing complains."""
    file = tmp_path / "e.html"
    text = to_html(hostile("\n".join(PAYLOADS)))
    file.write_text(text)
    with Page(tmp_path / "profile") as page:
        page.open(file)
        title = page.value("document.title")
        page.press("]", "/", *"pwned", "Enter")
        page.value("document.querySelector('[data-do=unfold]').click()")
        page.picture(kept(tmp_path, "hostile"), 1100, 1400)
        assert (page.value("document.scripts.length"), page.value("document.title")) == (1, title)
        assert title.startswith("␛[2J")
        assert page.value("document.querySelectorAll('img, iframe, object, svg, link, base').length") == 0
        assert page.complaints() == []
        assert page.requests() == [file.as_uri()]


def test_the_policy_lets_only_our_script_run(view: EpisodeView, tmp_path: Path) -> None:
    """Should the escaping ever fail: what is put into the page does nothing, and the browser says so."""
    file = tmp_path / "e1.html"
    injected = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    file.write_text(to_html(view).replace("<main>", f"<main>{injected}"))
    with Page(tmp_path / "profile") as page:
        page.open(file)
        page.press("]")
        assert page.value("document.title") != "pwned"
        assert page.value("document.querySelector('.here').id") == "finding-1"
        assert page.complaints()
