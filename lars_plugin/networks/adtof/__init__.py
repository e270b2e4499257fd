# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of ADTOF, a published transcriber of drums."""
