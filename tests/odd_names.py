"""Names that people give folders, and that mean something else to Hydra, OmegaConf, YAML or a shell."""

from __future__ import annotations

NAMES = ("a b", "ä", "犬", "🐕", "a (1)", "a(1)", "a'b", 'a"b', "a,b", "a=b", "a#b", "a&b", "a;b", "a%20b", "a@b",
         "~ab", "a~b", "a[1]", "a{b}", "a$b", "${HOME}", "${oc.env:HOME}", "a${b", "a\\${b}", "a+b", "a!b", "a:b",
         " ab", "ab ", "-a", "null", "123", "1.50", "true", "007", "a\\b", "a\\", "a?b", "a*b", "a|b", "a<b>",
         "e\u0301", "a^b", "a`b", "x" * 100, "1e3", "0x10", "1_000", "nan", "[a]", "a..b", "choice(a,b)", "glob(*)",
         "'a", 'b"', "a\tb", "yes", "=", "2026-01-01")
