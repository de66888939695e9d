"""移动支付中心, 电子凭证, 电子处方中心: the centres of the SM2/SM4 envelope. README.md is their manual."""
