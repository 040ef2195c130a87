"""The vendor's rule chooses the class, in each vendor's vocabulary."""

from __future__ import annotations

import pytest

from orchestrator.domain.alert import AlertClass
from orchestrator.intake.normalize import classify


@pytest.mark.parametrize(
    ("signature", "category", "kind"),
    [
        (
            "ET CNC Zeus Tracker Reported CnC Server group 11",
            "A Network Trojan was detected",
            AlertClass.C2_BEACON,
        ),
        (
            "ET TROJAN Win32/Emotet CnC Activity (POST)",
            "A Network Trojan was detected",
            AlertClass.C2_BEACON,
        ),
        (
            "ET MALWARE Lavasoft PUA/Adware Client Install",
            "A Network Trojan was detected",
            AlertClass.MALWARE,
        ),
        (
            "ET SCAN LibSSH Based Frequent SSH Connections Likely BruteForce Attack",
            "Attempted Administrator Privilege Gain",
            AlertClass.BRUTE_FORCE,
        ),
        ("ET SCAN Potential SSH Scan", "Attempted Information Leak", AlertClass.SCAN),
        (
            "ET PHISHING Successful Generic Phish",
            "Successful Credential Theft Detected",
            AlertClass.PHISHING,
        ),
        (
            "ET POLICY User-Agent (Launcher)",
            "A Network Trojan was detected",
            AlertClass.POLICY_VIOLATION,
        ),
        ("ET TOR Known Tor Exit Node Traffic group 67", "Misc Attack", AlertClass.POLICY_VIOLATION),
        (
            "SURICATA TLS invalid record version",
            "Generic Protocol Command Decode",
            AlertClass.OTHER,
        ),
        ("Local rule 1", "Domain Observed Used for C2 Detected", AlertClass.C2_BEACON),
        ("Local rule 2", "Successful Credential Theft Detected", AlertClass.ACCOUNT_COMPROMISE),
        ("Local rule 3", None, AlertClass.OTHER),
        (None, None, AlertClass.OTHER),
    ],
)
def test_suricata_rules(signature: str | None, category: str | None, kind: AlertClass) -> None:
    assert classify.classify_suricata(signature, category) is kind


@pytest.mark.parametrize(
    ("finding", "kind"),
    [
        ("Backdoor:EC2/C&CActivity.B", AlertClass.C2_BEACON),
        ("Backdoor:EC2/DenialOfService.Tcp", AlertClass.MALWARE),
        ("Trojan:EC2/DNSDataExfiltration", AlertClass.EXFILTRATION),
        ("Trojan:EC2/PhishingDomainRequest!DNS", AlertClass.PHISHING),
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS", AlertClass.MALWARE),
        ("Execution:EC2/MaliciousFile", AlertClass.MALWARE),
        ("UnauthorizedAccess:EC2/SSHBruteForce", AlertClass.BRUTE_FORCE),
        (
            "CredentialAccess:RDS/AnomalousBehavior.SuccessfulBruteForce",
            AlertClass.ACCOUNT_COMPROMISE,
        ),
        ("CredentialAccess:RDS/AnomalousBehavior.FailedLogin", AlertClass.BRUTE_FORCE),
        (
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            AlertClass.ACCOUNT_COMPROMISE,
        ),
        ("UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B", AlertClass.ACCOUNT_COMPROMISE),
        ("Exfiltration:S3/AnomalousBehavior", AlertClass.EXFILTRATION),
        ("AttackSequence:IAM/CompromisedCredentials", AlertClass.ACCOUNT_COMPROMISE),
        ("Recon:EC2/PortProbeUnprotectedPort", AlertClass.SCAN),
        ("Policy:S3/BucketBlockPublicAccessDisabled", AlertClass.POLICY_VIOLATION),
        ("PenTest:IAMUser/KaliLinux", None),
    ],
)
def test_guardduty_types(finding: str, kind: AlertClass | None) -> None:
    assert classify.by_pattern(classify.GUARDDUTY_TYPES, finding) is kind


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("crowdsecurity/ssh-bf", AlertClass.BRUTE_FORCE),
        ("crowdsecurity/ssh_bf", AlertClass.BRUTE_FORCE),
        ("crowdsecurity/ssh-slow-bf_user-enum", AlertClass.BRUTE_FORCE),
        ("crowdsecurity/http-bf-wordpress_bf", AlertClass.BRUTE_FORCE),
        ("crowdsecurity/iptables-scan-multi_ports", AlertClass.SCAN),
        ("crowdsecurity/http-probing", AlertClass.SCAN),
        ("crowdsecurity/impossible-travel", AlertClass.ACCOUNT_COMPROMISE),
        ("crowdsecurity/CVE-2021-41773", None),
    ],
)
def test_crowdsec_scenarios(scenario: str, kind: AlertClass | None) -> None:
    assert classify.by_pattern(classify.CROWDSEC_SCENARIOS, scenario) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SSHBruteForce", AlertClass.BRUTE_FORCE),
        ("TooManyFailedLogins", AlertClass.BRUTE_FORCE),
        ("C2Beacon", AlertClass.C2_BEACON),
        ("EC2HighCPU", None),
        ("HostDown", None),
    ],
)
def test_alert_names_chosen_by_people(name: str, kind: AlertClass | None) -> None:
    assert classify.by_pattern(classify.ALERT_NAMES, name) is kind


def test_every_class_matches_the_pattern_of_the_normal_form() -> None:
    for kind in AlertClass:
        assert kind.value.replace("_", "").isalnum()
        assert kind.value.islower()
