"""Run by the build, before anything is packed: `python3 -m unittest`."""

import threading
import unittest
from http.client import HTTPConnection

from app import Application, Release


class HelloTest(unittest.TestCase):
    def setUp(self) -> None:
        self.application = Application(("127.0.0.1", 0), Release('{"version": "v7", "colour": "teal"}'))
        self.thread = threading.Thread(target=self.application.serve_forever, args=(0.01,))
        self.thread.start()

    def tearDown(self) -> None:
        self.application.stop()
        self.thread.join()
        self.assertTrue(self.application.finish())

    def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        connection = HTTPConnection("127.0.0.1", self.application.server_port, timeout=5)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.getheader("X-Version", ""), response.read().decode()
        finally:
            connection.close()

    def test_the_page_names_its_version(self) -> None:
        self.assertEqual(self.get("/"), (200, "v7", "hello v7\n"))

    def test_a_browser_gets_a_page_in_the_colour_of_the_version(self) -> None:
        self.assertIn("background: teal", self.get("/", Accept="text/html")[2])

    def test_an_unknown_path_is_not_found(self) -> None:
        self.assertEqual(self.get("/nowhere")[0], 404)

    def test_a_slow_request_is_answered_although_the_application_is_asked_to_stop(self) -> None:
        answers: list[tuple[int, str, str]] = []
        slow = threading.Thread(target=lambda: answers.append(self.get("/slow?seconds=0.2")))
        slow.start()
        with self.application.changed:
            self.application.changed.wait_for(lambda: self.application.in_flight == 1, 5)
        self.application.stop()
        slow.join()
        self.assertEqual(answers[0][0], 200)


if __name__ == "__main__":
    unittest.main()
