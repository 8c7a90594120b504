"""The private look-up as a library: what the command line and other programs use.

A `Profile` says where and as whom; a `Client` looks up and reports with it. Whatever keeps a
look-up from being answered is `CouldNotCheck`: only None ever stands for *no match*.
"""

from api.client.caller import Client
from api.client.failures import CouldNotCheck, Refused, Unreachable, explain
from api.client.joining import join, join_and_save, leave
from api.client.profile import Profile, default_profile_path
from api.client.receipts import ReceiptAction, ask_receipt
from api.client.reports import Report

__all__ = [
    "Client",
    "CouldNotCheck",
    "Profile",
    "ReceiptAction",
    "Refused",
    "Report",
    "Unreachable",
    "ask_receipt",
    "default_profile_path",
    "explain",
    "join",
    "join_and_save",
    "leave",
]
