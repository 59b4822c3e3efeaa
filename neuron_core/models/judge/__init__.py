"""An image encoder that tells materials apart, to judge what a field draws. Assets never hold it."""
