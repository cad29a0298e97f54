"""Trained nets: opening, vetting and describing files of weights; the pretrained nets themselves."""
