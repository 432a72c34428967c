"""A student in a real browser: log in, compute, save, come back."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as expect
from selenium.webdriver.support.ui import WebDriverWait

START_S = 120
STEP_S = 60
NOTEBOOK = "//div[contains(@class, 'jp-LauncherCard') and @data-category='Notebook']"
IDLE = "//*[@id='jp-main-statusbar'][contains(., '| Idle')]"
OUTPUT = "//div[contains(@class, 'jp-OutputArea-output')]//pre[normalize-space()='42']"


def _login(browser: webdriver.Chrome, url: str, name: str) -> None:
    browser.get(f"{url}/hub/login")
    browser.find_element(By.ID, "username_input").send_keys(name)
    browser.find_element(By.ID, "password_input").send_keys("any")
    browser.find_element(By.ID, "login_submit").click()


def _wait_for_lab(browser: webdriver.Chrome) -> None:
    WebDriverWait(browser, START_S).until(
        expect.visibility_of_element_located((By.CSS_SELECTOR, ".jp-FileBrowser, .jp-Launcher"))
    )


def _contents(browser: webdriver.Chrome, user: str, path: str = "") -> dict[str, Any]:
    """Ask the server what is on the disk, by its own API, from the page."""
    answer = browser.execute_async_script(
        "const [address, done] = arguments;"
        # Cookies alone are refused: another site's page could send them too.
        "const token = document.cookie.match(/_xsrf=([^;]+)/)[1];"
        "fetch(address, {headers: {'X-XSRFToken': token}, cache: 'no-store'})"
        ".then(async answer => done({status: answer.status, ...await answer.json()}));",
        f"/user/{user}/api/contents/{path}",
    )
    return dict(answer)


def test_compute_save_and_come_back(browser: webdriver.Chrome, url: str, screenshots: Path) -> None:
    # A new student each time: JupyterLab opens again what a known one had open.
    name = f"browser-{uuid.uuid4().hex[:6]}"
    _login(browser, url, name)
    _wait_for_lab(browser)
    browser.save_screenshot(str(screenshots / "lab.png"))
    WebDriverWait(browser, STEP_S).until(expect.element_to_be_clickable((By.XPATH, NOTEBOOK))).click()
    cell = WebDriverWait(browser, STEP_S).until(
        expect.visibility_of_element_located((By.CSS_SELECTOR, ".jp-Notebook .cm-content"))
    )
    # What is run before the kernel is there is lost: seen on a machine that did too much else.
    WebDriverWait(browser, STEP_S).until(expect.visibility_of_element_located((By.XPATH, IDLE)))
    cell.click()
    ActionChains(browser).send_keys("print(6*7)").key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(
        Keys.SHIFT
    ).perform()
    WebDriverWait(browser, STEP_S).until(expect.visibility_of_element_located((By.XPATH, OUTPUT)))
    browser.save_screenshot(str(screenshots / "notebook.png"))
    ActionChains(browser).key_down(Keys.CONTROL).send_keys("s").key_up(Keys.CONTROL).perform()
    WebDriverWait(browser, STEP_S).until(lambda _: "6*7" in _saved(browser, name) or _accept_name(browser))
    WebDriverWait(browser, STEP_S).until(lambda _: "6*7" in _saved(browser, name))

    browser.get(f"{url}/hub/home")
    WebDriverWait(browser, STEP_S).until(expect.element_to_be_clickable((By.ID, "stop"))).click()
    WebDriverWait(browser, STEP_S).until(expect.text_to_be_present_in_element((By.ID, "start"), "Start My Server"))
    browser.get(f"{url}/hub/spawn")
    _wait_for_lab(browser)
    listing = _contents(browser, name)
    assert listing["status"] == 200, listing
    assert [file["name"] for file in listing["content"]] == ["Untitled.ipynb"]
    assert "6*7" in _saved(browser, name)


def _accept_name(browser: webdriver.Chrome) -> bool:
    """JupyterLab asks for a name at the first save: keep the one it offers."""
    buttons = browser.find_elements(By.CSS_SELECTOR, ".jp-Dialog .jp-mod-accept")
    if buttons:
        buttons[0].click()
    return bool(buttons)


def _saved(browser: webdriver.Chrome, name: str) -> str:
    """Return the notebook's source as it is on the disk; nothing while it is not there, or half written."""
    answer = _contents(browser, name, "Untitled.ipynb")
    # Jupyter writes into the file itself: who reads it in the middle of a save is told "Unreadable Notebook" by a 400.
    if answer["status"] in {400, 404}:
        return ""
    assert answer["status"] == 200, answer
    return str([cell["source"] for cell in answer["content"]["cells"]])
