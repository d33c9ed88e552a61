import unittest

from hwb_demo_c import greet


class GreetTest(unittest.TestCase):
    def test_somebody(self):
        self.assertEqual(greet("Ada"), "Hello, Ada!")

    def test_nobody(self):
        self.assertEqual(greet(""), "Hello, world!")

    def test_no_text(self):
        with self.assertRaises(TypeError):
            greet(3)
