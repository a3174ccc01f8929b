"""The room of Elastic Load Balancing (v2): the rows that decide traffic, and the Envoy that obeys them."""
