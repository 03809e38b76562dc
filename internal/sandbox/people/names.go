package people

import "strings"

// surnames in the order of their frequency.
var surnames = strings.Fields(`王 李 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 郭 何 林 高 罗 郑 梁 谢 宋 唐 许 韩 邓 冯 曹 彭 曾 肖
	田 董 潘 袁 蔡 蒋 余 于 杜 叶 程 魏 苏 吕 丁 任 卢 姚 沈 钟 姜 崔 谭 陆 范 汪 廖 石 金 韦 贾 夏 付 方 邹 熊 白 孟 秦 邱 侯 江
	尹 薛 闫 段 雷 龙 黎 史 陶 贺 毛 郝 顾 龚 邵 万 覃 武 钱 戴 严 莫 孔 向 常 汤 康 易 乔 赖 文 施 洪 辛 柯 庄 温 牛 樊 葛 邢 安
	齐 伍 庞 颜 倪 聂 章 鲁 岳 翟 殷 詹 申 欧 耿 关 兰 焦 俞 左 柳 甘 祝 包 宁 尚 符 舒 阮 纪 梅 童 凌 毕 单 裴 霍 成 苗 谷 盛 曲
	翁 冉 蓝 路 游 靳 辜 管 柴 蒙 鲍 华 喻 祁 房 蒲 滕 屈 饶 解 牟 艾 尤 时 阳 穆 农 司 古 吉 卓 欧阳 上官 司马 诸葛 皇甫 令狐 慕容`)

// namePool is the characters of given names of one generation.
type namePool struct{ first, second []string }

func pool(first, second string) namePool {
	return namePool{strings.Split(first, ""), strings.Split(second, "")}
}

// Given names went with the times: by the last year of birth, women and men.
var generations = []struct {
	until      int
	women, men namePool
}{
	{1965,
		pool("秀桂玉淑凤春素惠金美月翠", "英兰珍华芳云莲香琴梅芬花"),
		pool("建国志德永文振玉金世长福", "国华民军平明生林山贵祥海")},
	{1980,
		pool("丽秀红晓海艳春小玉雪惠建", "红梅霞艳丽敏燕萍娟英华玲"),
		pool("建志卫海永国晓文立洪向东", "军强伟平华勇明辉峰斌刚波")},
	{1995,
		pool("婷雅佳晓静思雨文丽海莉倩", "婷静雪颖娜琳慧洁莹蕾丹倩"),
		pool("俊志浩文晓嘉子宇伟明建博", "杰鹏涛磊超浩宇飞凯博洋龙")},
	{9999,
		pool("梓欣诗雨子思语一可若佳依", "涵怡彤萱琪妍晨瑶汐宁菲桐"),
		pool("子浩宇梓俊一天思奕泽明嘉", "轩然宸睿泽辰航铭逸阳恒博")},
}

func givenNames(born int, woman bool) namePool {
	for _, g := range generations {
		if born <= g.until {
			if woman {
				return g.women
			}
			return g.men
		}
	}
	panic("people: born after all generations")
}

// rareGivenNames trouble software: outside the basic plane, or missing from old character sets.
var rareGivenNames = strings.Fields(`𬭚 𬴊 喆 堃 淼 犇 䶮 晓𬍛 旭昇 祎 彧 翀`)

var minorityWomen = strings.Fields(`阿依古丽·买买提 古丽娜尔·艾山 帕提古丽·吐尔逊 卓玛央金 白玛拉姆 德吉措姆 乌云其木格 萨日娜 金顺姬 崔美兰
	阿依努尔·库尔班 热依汗·阿不都热合曼 次仁曲珍 娜仁高娃 韦彩凤 马依兰`)

var minorityMen = strings.Fields(`买买提·吐尔逊 艾力·库尔班 阿不都热西提·肉孜 扎西多吉 次仁顿珠 丹增平措 巴特尔 那日松 金哲秀 崔成日 努尔兰·哈森
	吾买尔江·艾则孜 旦增罗布 苏和 韦大宝 马尔力克`)

// nation is where a foreign resident comes from; passport is a pattern for maker.filled.
type nation struct {
	alpha3, numeric, passport string
	familyFirst               bool
	women, men, families      []string
}

var nations = []nation{
	{"USA", "840", "A########", false, strings.Fields("Emma Olivia Sarah Megan Hannah"), strings.Fields("James Ethan Tyler Daniel Marcus"), strings.Fields("Thompson Carter Nguyen Brooks Ramirez")},
	{"GBR", "826", "5########", false, strings.Fields("Charlotte Imogen Fiona Priya"), strings.Fields("Oliver Hamish George Callum"), strings.Fields("Whitfield Okafor MacLeod Hughes")},
	{"FRA", "250", "##@@#####", false, strings.Fields("Camille Chloé Élodie"), strings.Fields("Lucas Théo Mathieu"), strings.Fields("Moreau Lefèvre Girard")},
	{"DEU", "276", "C####@#@#", false, strings.Fields("Anna Katharina Lena"), strings.Fields("Jonas Lukas Matthias"), strings.Fields("Schröder Weiß Brandt Vogel")},
	{"KOR", "410", "M###@####", true, strings.Fields("Ji-woo Seo-yeon Min-ji"), strings.Fields("Min-jun Dong-hyun Tae-yang"), strings.Fields("Kim Park Choi")},
	{"JPN", "392", "T@#######", false, strings.Fields("Yuki Haruka Aoi"), strings.Fields("Kenji Takumi Sho"), strings.Fields("Tanaka Fujimoto Watanabe")},
	{"RUS", "643", "7########", false, strings.Fields("Olga Daria"), strings.Fields("Dmitri Alexei"), strings.Fields("Litvin Sobol")},
	{"VNM", "704", "C#######", true, strings.Fields("Lan Hương Thảo"), strings.Fields("Minh Quang Đức"), strings.Fields("Nguyễn Trần Lê")},
	{"IND", "356", "Z#######", false, strings.Fields("Ananya Kavita"), strings.Fields("Arjun Rohan"), strings.Fields("Sharma Iyer Patel")},
	{"BRA", "076", "F@######", false, strings.Fields("Beatriz Larissa"), strings.Fields("Rafael Thiago"), strings.Fields("Souza Carvalho")},
	{"NGA", "566", "B########", false, strings.Fields("Chiamaka Zainab"), strings.Fields("Emeka Tunde"), strings.Fields("Adeyemi Okonkwo")},
}

// regions are counties and districts by GB/T 2260.
var regions = strings.Fields(`110101 110105 110108 120101 130102 130203 140105 150102 210102 210202 220102 230102 310101 310104 310115
	320102 320505 330102 330106 330203 340102 350102 350203 360102 370102 370202 410102 410305 420102 420106 430102 430104 440103 440106
	440305 440304 450102 460105 500103 500112 510104 510107 520102 530102 540102 610102 610113 620102 630102 640104 650102`)

// Nicknames are put together from two halves, or stand alone.
var (
	nicknameFronts = strings.Fields(`山里的 爱笑的 不吃香菜的 晚风 南城 半夏 慢悠悠的 早起的 海边的 云上 会飞的 小小 一只 三号 北方的 迷路的 夏天的 隔壁`)
	nicknameBacks  = strings.Fields(`猫 橘子 风 小满 旅人 阿宝 豆包 鲸鱼 向日葵 柠檬 木木 老张 书虫 月亮 星河 面包 长颈鹿 石头`)
	nicknamesWhole = strings.Fields(`平安是福 知足常乐 阳光总在风雨后 云淡风轻 静待花开 岁月静好 人生如茶 一路有你 海阔天空 心如止水 老地方 花开富贵 momo
		Sunny Leo_88 加菲不吃鱼 打工人小王 早睡协会会员 用户8273645 用户1902773`)
)
