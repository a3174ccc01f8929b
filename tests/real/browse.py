"""Looks at pages with a real Chromium, and prints what it saw as JSON. Run by Playwright's own Python.

    browse.py CHROMIUM PAGE…

Per page and colour scheme: console (messages), requests, pwned, images, drawn (pixels in the colours of the scheme),
ticks (the tooltip's text in the middle of the picture), and at 390 pixels: width of canvas and page.
"""

import json
import sys

from playwright.sync_api import sync_playwright

DRAWN = """() => {
  const canvas = document.querySelector("#picture canvas"), css = getComputedStyle(document.documentElement);
  const copy = document.createElement("canvas"), at = copy.getContext("2d", { willReadFrequently: true });
  [copy.width, copy.height] = [canvas.width, canvas.height];
  at.drawImage(canvas, 0, 0);
  const pixels = at.getImageData(0, 0, copy.width, copy.height).data;
  const counted = {};
  for (const name of ["blue", "green", "bad", "ink"]) {
    const hex = css.getPropertyValue(`--${name}`).trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    let count = 0;
    for (let i = 0; i < pixels.length; i += 4)
      if (pixels[i] === r && pixels[i + 1] === g && pixels[i + 2] === b && pixels[i + 3] === 255) count++;
    counted[name] = [hex, count];
  }
  return counted;
}"""

TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
NARROW = """() => new Promise((done) => {
  const look = () => document.querySelector("#picture canvas").clientWidth < 390 ? done() : requestAnimationFrame(look);
  look();
})"""
"""The page's own policy forbids the evaluation of strings, by which Playwright waits for functions."""


def look(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.evaluate(TWO_FRAMES)
    return page.evaluate(DRAWN)


def main(chromium, paths):
    seen = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path in paths:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            console, requests = [], []
            page.on("console", lambda message, said=console: said.append(message.text))
            page.on("pageerror", lambda error, said=console: said.append(str(error)))
            page.on("dialog", lambda dialog, said=console: (said.append(dialog.message), dialog.dismiss()))
            page.on("request", lambda request, made=requests: made.append(request.url))
            page.goto(f"file://{path}")
            drawn = {scheme: look(page, scheme) for scheme in ("light", "dark", "light")}
            box = page.locator("#picture").bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
            page.locator(".tip").wait_for()
            told = {
                "console": console,
                "requests": requests,
                "drawn": drawn,
                "tip": page.locator(".tip").inner_text(),
                "pwned": page.evaluate("() => window.pwned ?? null"),
                "images": page.locator("img").count(),
            }
            page.set_viewport_size({"width": 390, "height": 800})
            page.evaluate(NARROW)
            told["narrow"] = page.evaluate("() => document.documentElement.scrollWidth")
            seen.append(told)
        browser.close()
    print(json.dumps(seen))


main(sys.argv[1], sys.argv[2:])
