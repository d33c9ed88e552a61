import unittest

from hwb_demo import greet


class GreetTest(unittest.TestCase):
    def test_somebody(self):
        self.assertEqual(greet("Ada"), "Hello, Ada!")

    def test_nobody(self):
        self.assertEqual(greet("  "), "Hello, world!")
