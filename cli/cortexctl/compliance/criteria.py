"""The criteria that a control may cite, with their titles.

SOC 2: the AICPA's Trust Services Criteria (TSP section 100, 2017, with the points of focus of 2022). GDPR:
Regulation (EU) 2016/679, by article.
"""

from __future__ import annotations

CRITERIA = {
    "CC6.1": "Logical access security over protected information assets",
    "CC6.2": "Registration and removal of users and their credentials",
    "CC6.3": "Access by roles, least privilege and separation of duties",
    "CC6.5": "Disposal of data and of what could recover them",
    "CC6.6": "Protection against threats from outside the boundaries",
    "CC6.7": "Protection of information in transmission, movement and removal",
    "CC7.1": "Detection of changes and of new vulnerabilities",
    "CC7.2": "Monitoring of components for anomalies",
    "CC7.3": "Evaluation of security events",
    "CC7.4": "Response to security incidents",
    "CC7.5": "Recovery from security incidents",
    "CC8.1": "Authorised, tested and approved changes",
    "A1.1": "Capacity and its use",
    "A1.2": "Environmental protections, backups and recovery infrastructure",
    "A1.3": "Tests of recovery plans",
    "GDPR 5(1)(e)": "Storage limitation",
    "GDPR 15": "Right of access",
    "GDPR 17": "Right to erasure",
    "GDPR 20": "Right to data portability",
    "GDPR 30": "Records of processing activities",
    "GDPR 32(1)(a)": "Pseudonymisation and encryption",
    "GDPR 32(1)(b)": "Confidentiality, integrity, availability and resilience",
    "GDPR 32(1)(c)": "Timely restoration of availability and access",
    "GDPR 32(1)(d)": "Regular testing of the measures",
    "GDPR 33": "Notification of a breach: what happened can be told",
}
