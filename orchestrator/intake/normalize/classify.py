"""The class of an alert, chosen by the identity of the vendor's rule.

Only the rule's name, id, category, groups, tags and techniques are read, never a user agent, a user
name or any other text that an attacker writes: otherwise the attacker would choose the playbook. In
each table the first match wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.domain.alert import AlertClass

_C2, _BRUTE, _MALWARE = AlertClass.C2_BEACON, AlertClass.BRUTE_FORCE, AlertClass.MALWARE
_ACCOUNT, _PHISH, _EXFIL = (
    AlertClass.ACCOUNT_COMPROMISE,
    AlertClass.PHISHING,
    AlertClass.EXFILTRATION,
)
_SCAN, _POLICY, _OTHER = AlertClass.SCAN, AlertClass.POLICY_VIOLATION, AlertClass.OTHER

MAX_TECHNIQUES = 32
_TECHNIQUE_ID = re.compile(r"(?<![A-Za-z0-9])T\d{4}(?:\.\d{3})?(?![0-9])", re.ASCII)

_Table = tuple[tuple[re.Pattern[str], AlertClass], ...]


def _table(*rows: tuple[str, AlertClass]) -> _Table:
    return tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in rows)


TACTICS = {"TA0011": _C2, "TA0010": _EXFIL}
"""ATT&CK tactics that name a class."""

TECHNIQUES: _Table = _table(
    (r"T1110(\.|$)", _BRUTE),
    (r"T1566(\.|$)", _PHISH),
    (r"T1(071|095|571|572|573|568|102|132|219)(\.|$)", _C2),
    (r"T1(041|048|567|537)(\.|$)", _EXFIL),
    (r"T1(046|595)(\.|$)", _SCAN),
    (r"T1486(\.|$)", _MALWARE),
)
"""ATT&CK techniques that name a class.

T1078 (valid accounts) does not: products put it on every successful login.
"""

SURICATA_SIGNATURES: _Table = _table(
    (r"^ET (CNC|C2)\b", _C2),
    (
        (
            r"^ET (MALWARE|TROJAN|MOBILE_MALWARE|ATTACK_RESPONSE)\b"
            r".*\b(CnC|C2|C&C|Command and Control|Beacon|Check-?in)\b"
        ),
        _C2,
    ),
    (r"\bbrute ?force|\bfrequent (failed )?logins?\b", _BRUTE),
    (r"^ET PHISHING\b|\bphish", _PHISH),
    (r"\b(data )?exfil", _EXFIL),
    (r"^ET (MALWARE|TROJAN|MOBILE_MALWARE|WORM|COINMINER|EXPLOIT_KIT|ADWARE_PUP)\b", _MALWARE),
    (r"^(ET|GPL) SCAN\b", _SCAN),
    (r"^(ET|GPL) (POLICY|TOR|P2P|CHAT|GAMES|INAPPROPRIATE|REMOTE_ACCESS)\b", _POLICY),
    (r"^SURICATA ", _OTHER),
)

SURICATA_CATEGORIES = {
    "malware command and control activity detected": _C2,
    "domain observed used for c2 detected": _C2,
    "a network trojan was detected": _MALWARE,
    "a network trojan was successfully run": _MALWARE,
    "targeted malicious activity was detected": _MALWARE,
    "exploit kit activity detected": _MALWARE,
    "crypto currency mining activity detected": _MALWARE,
    "attempt to login by a default username and password": _BRUTE,
    "an attempted login using a suspicious username was detected": _BRUTE,
    "successful credential theft detected": _ACCOUNT,
    "possible social engineering attempted": _PHISH,
    "detection of a network scan": _SCAN,
    "potential corporate privacy violation": _POLICY,
    "inappropriate content was detected": _POLICY,
    "possibly unwanted program detected": _POLICY,
}

WAZUH_RULES = {"40112": _ACCOUNT, "87105": _MALWARE}
"""Rules with unspecific groups: a login after many failures, and a VirusTotal detection."""

WAZUH_GROUPS = {
    "authentication_failures": _BRUTE,
    "win_authentication_failures": _BRUTE,
    "bruteforce": _BRUTE,
    "virus": _MALWARE,
    "malware": _MALWARE,
    "yara": _MALWARE,
    "ransomware": _MALWARE,
    "phishing": _PHISH,
    "exfiltration": _EXFIL,
    "recon": _SCAN,
    "web_scan": _SCAN,
    "policy_violation": _POLICY,
    "sca": _POLICY,
}

CROWDSEC_SCENARIOS: _Table = _table(
    (r"impossible-travel", _ACCOUNT),
    (r"(^|[-_/])(bf|bruteforce|brute-force|enum)([-_]|$)|user-enum", _BRUTE),
    (r"scan|prob(e|ing)|crawl|bad-user-agent|sensitive-files|path-traversal", _SCAN),
)

GUARDDUTY_TYPES: _Table = _table(
    (r"C&CActivity", _C2),
    (r"SuccessfulBruteForce|AttackSequence:IAM", _ACCOUNT),
    (r"BruteForce|FailedLogin", _BRUTE),
    (r"^Exfiltration:|DNSDataExfiltration|CompromisedData", _EXFIL),
    (r"PhishingDomainRequest", _PHISH),
    (
        (
            r"^(CryptoCurrency|Trojan|Backdoor):|^Execution:.*(Malicious|Suspicious)"
            r"|^Impact:.*(Bitcoin|Mining|Malicious|Suspicious)"
        ),
        _MALWARE,
    ),
    (r"^(Recon|Discovery):|PortProbe", _SCAN),
    (r"^(Policy|Stealth):|TorClient", _POLICY),
    (
        (
            r"^(UnauthorizedAccess|CredentialAccess|InitialAccess|Persistence|PrivilegeEscalation"
            r"|DefenseEvasion|Impact):IAMUser/"
        ),
        _ACCOUNT,
    ),
    (r"^CredentialAccess:|InstanceCredentialExfiltration", _ACCOUNT),
)

FALCO_RULES: _Table = _table(
    (r"\bC2\b|command and control|\bbeacon", _C2),
    (r"brute ?force", _BRUTE),
    (
        (
            r"crypto|miner|malware|malicious|rootkit|ransom|drop and execute|fileless|reverse shell"
            r"|remote code execution"
        ),
        _MALWARE,
    ),
    (r"redirect stdout/stdin to network", _MALWARE),
    (r"exfil|launch remote file copy", _EXFIL),
    (r"port scan|network (scan|tool)", _SCAN),
    (r"\bpolicy\b|disallowed", _POLICY),
)

FALCO_TAGS = {
    "mitre_command_and_control": _C2,
    "mitre_exfiltration": _EXFIL,
    "malware": _MALWARE,
    "bruteforce": _BRUTE,
}

ALERT_NAMES: _Table = _table(
    (r"beacon|(^|[^a-z])c2([^a-z]|$)|command.?and.?control", _C2),
    (r"brute.?force|(failed|failure).?(login|logon|auth)|(login|logon|auth\w*).?fail", _BRUTE),
    (r"malware|ransom|virus|trojan|cryptomin", _MALWARE),
    (r"account.?compromise|impossible.?travel|credential.?(theft|stuffing)", _ACCOUNT),
    (r"phish", _PHISH),
    (r"exfil", _EXFIL),
    (r"port.?scan|network.?scan", _SCAN),
    (r"policy.?violation", _POLICY),
)
"""Patterns for products where people name their rules freely, such as Alertmanager."""


def parse_techniques(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the ATT&CK technique ids in the texts, each once.

    `attack.t1071` and `T1562.008 - Impair` are understood.
    """
    found = dict.fromkeys(
        technique for text in texts for technique in _TECHNIQUE_ID.findall(text.upper())
    )
    return tuple(found)[:MAX_TECHNIQUES]


def by_pattern(table: _Table, *names: str | None) -> AlertClass | None:
    """Return the class of the first row that one of the names matches."""
    return next(
        (kind for pattern, kind in table if any(pattern.search(name) for name in names if name)),
        None,
    )


def by_word(table: dict[str, AlertClass], words: Iterable[str]) -> AlertClass | None:
    """Return the class of the first row whose word is among the words."""
    present = {word.strip().lower() for word in words}
    return next((kind for word, kind in table.items() if word in present), None)


def by_technique(techniques: Iterable[str], tactics: Iterable[str] = ()) -> AlertClass | None:
    """Return the class that the ATT&CK techniques name, or else the tactics (`TA0011`)."""
    found = tuple(techniques)
    named = next(
        (
            kind
            for pattern, kind in TECHNIQUES
            if any(pattern.match(technique) for technique in found)
        ),
        None,
    )
    return named or next(
        (TACTICS[tactic.upper()] for tactic in tactics if tactic.upper() in TACTICS), None
    )


def classify_suricata(
    signature: str | None, category: str | None, tactics: Iterable[str] = ()
) -> AlertClass:
    """Return the class by the rule's ATT&CK tactics, then its name, then its category."""
    tactic = by_technique((), tactics)
    return (
        tactic
        or by_pattern(SURICATA_SIGNATURES, signature)
        or by_word(SURICATA_CATEGORIES, [category or ""])
        or _OTHER
    )
