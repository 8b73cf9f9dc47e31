select
  city,
  segment,
  count(*) as customer_count,
  sum(lifetime_value) as lifetime_value
from {{ ref('customer_segments') }}
group by city, segment
