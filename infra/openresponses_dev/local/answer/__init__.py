"""An answer in the making, as text: what a client of events shows of them."""
