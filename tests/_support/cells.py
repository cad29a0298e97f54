"""Results of a study."""

from __future__ import annotations

RESULTS = """\
set,net,psnr_y,psnr_y_sd,ssim_y,share,note
Set5,bicubic,33.6621,,0.9299,0.514,baseline
Set5,"unet, wide",36.2,0.031,0.9512,0.52,
Set5,vdsr,37.5316,0.2,0.9587,-0.004,
Set14,bicubic,30.2335,,0.8687,1,
Set14,vdsr,33.0679,0.1,0.9128,0,-
"""
