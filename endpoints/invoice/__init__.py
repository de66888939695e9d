"""Medical e-invoices: issued, written off and found again by the number of the business."""
