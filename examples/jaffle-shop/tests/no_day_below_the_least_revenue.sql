-- No day may end with less money than none. The switch `break: test` sets a bar that some days do not reach.
select
  ordered_on,
  revenue
from {{ ref('revenue_log') }}
where revenue < {{ 20 if broken('test') else 0 }}
